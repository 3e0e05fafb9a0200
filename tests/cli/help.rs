//! What the program says about itself.

use insta::assert_snapshot;

use crate::support::Folder;

/// Every command, and `""` for the program itself.
const COMMANDS: [&str; 16] = [
    "",
    "validate",
    "match",
    "plan",
    "show",
    "apply",
    "put-image",
    "explain",
    "init",
    "sandbox",
    "sandbox serve",
    "sandbox reset",
    "sandbox seed",
    "schema",
    "completions",
    "man",
];

#[test]
fn the_help_of_every_command_is_as_it_was() {
    for command in COMMANDS {
        let help = Folder::new().run(&format!("{command} --help")).succeeds();
        assert_eq!(help.err, "");
        let name = format!("help_{}", command.replace(' ', "_"));
        assert_snapshot!(name.trim_end_matches('_'), help.out);
    }
}

#[test]
fn the_help_of_every_command_has_examples() {
    for command in &COMMANDS[1..] {
        let help = Folder::new().run(&format!("{command} --help"));
        let is_group = *command == "sandbox";
        assert!(
            is_group || help.out.contains("Examples:\n"),
            "{command}:\n{}",
            help.out
        );
        let example = format!("ecr-retag {}", command.split(' ').next().unwrap());
        assert!(
            is_group || help.out.matches(&example).count() >= 2,
            "{command}:\n{}",
            help.out
        );
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for (shell, sign) in [
        ("bash", "_ecr__retag()"),
        ("zsh", "#compdef ecr-retag"),
        ("fish", "complete -c ecr-retag"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[ecr-retag]"),
    ] {
        let script = Folder::new().run(&format!("completions {shell}")).succeeds().out;
        assert!(script.contains(sign), "{shell}");
        assert!(
            script.contains("auto-approve") && script.contains("validate"),
            "{shell}"
        );
    }
}

#[test]
fn bash_takes_its_completions() {
    let folder = Folder::new();
    folder.file("completions", &folder.run("completions bash").out);
    let script = ". ./completions
        COMP_WORDS=(ecr-retag app) COMP_CWORD=1 COMPREPLY=()
        _ecr__retag ecr-retag app ecr-retag
        echo \"${COMPREPLY[@]}\"";
    let output = folder.command("bash").args(["-c", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "apply\n", "{output:?}");
}

#[test]
fn the_manual_has_every_command_and_its_examples() {
    let page = Folder::new().run("man").succeeds().out;
    assert!(page.starts_with(".ie"), "{}", &page[..100]);
    for command in &COMMANDS[1..] {
        let name = format!(".TH ecr-retag-{} ", command.replace(' ', "-"));
        assert!(page.contains(&name), "{name}");
    }
    assert!(page.contains(".SH EXAMPLES\n") && !page.contains("EXTRA"));
}
