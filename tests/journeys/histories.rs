//! The cutover, the rename and the swap on real tag histories, over HTTP.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{Server, real_data};

/// The tags of a repository as the program itself lists them: every tag is put onto itself, which changes nothing.
fn tags(server: &Server, repository: &str) -> BTreeMap<String, String> {
    let yaml = format!(
        "version: 1\nrules:\n- name: all\n  repositories: {repository}\n  from: '*'\n  to: ${{tag}}\n"
    );
    let path = server.folder.path().join("all.yaml");
    std::io::Write::write_all(&mut fs::File::create(path).unwrap(), yaml.as_bytes()).unwrap();
    let output = server.run(&["plan", "all.yaml", "--json", "--full"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    document["resource_changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            assert_eq!(change["change"]["actions"][0], "no-op");
            (text(&change["tag"]), text(&change["change"]["after"]["digest"]))
        })
        .collect()
}

fn history(folder: &Path, name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join("tags").join(format!("{name}.tsv"))).unwrap();
    let rows = text
        .lines()
        .map(|line| line.split('\t').map(ToOwned::to_owned).collect::<Vec<_>>());
    rows.map(|row| (row[0].clone(), row[1].clone())).collect()
}

fn serve(folder: &Path, name: &str) -> Server {
    Server::start(&[&folder.join("tags").join(format!("{name}.tsv"))])
}

fn unchanged(server: &Server) {
    let output = server.run(&["plan", "plan.yaml", "--detailed-exitcode"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn a_release_is_cut_over_on_a_real_history() {
    let Some(folder) = real_data() else { return };
    let server = serve(&folder, "prometheus");
    let before = tags(&server, "prometheus");
    server.apply(
        "version: 1\nrules:\n- name: cut\n  repositories: prometheus\n  from: v2.45.0\n  to: [stable, 2-lts]\n",
    );
    let rest = "version: 1\nrules:\n- name: cut\n  repositories: prometheus\n  from: v2.53.0\n  to: [v2.53, stable]\n  \
                backup: { stable: previous }\n";
    server.apply(rest);
    let after = tags(&server, "prometheus");
    assert_eq!(after["stable"], before["v2.53.0"]);
    assert_eq!(after["v2.53"], before["v2.53.0"]);
    assert_eq!(after["previous"], before["v2.45.0"]);
    assert_eq!(after.len(), before.len() + 4);
    unchanged(&server);
}

#[test]
fn every_version_loses_its_prefix_on_a_real_history() {
    let Some(folder) = real_data() else { return };
    let server = serve(&folder, "nats-server");
    let before = tags(&server, "nats-server");
    server.apply(
        "version: 1\nrules:\n- name: strip\n  repositories: nats-server\n  from: { regex: 'v(?<rest>.+)' }\n  \
         to: ${rest}\n  remove_source: true\n",
    );
    let expected: BTreeMap<String, String> = before
        .into_iter()
        .map(|(tag, digest)| {
            (
                tag.strip_prefix('v').map_or(tag.clone(), ToOwned::to_owned),
                digest,
            )
        })
        .collect();
    assert_eq!(tags(&server, "nats-server"), expected);
    assert!(expected.len() > 250);
    unchanged(&server);
}

#[test]
fn two_tags_swap_their_images_on_a_real_history() {
    let Some(folder) = real_data() else { return };
    let server = serve(&folder, "official-postgres");
    let rows = history(&folder, "official-postgres");
    let before = tags(&server, "official-postgres");
    let (blue, green) = (&rows[10].0, &rows[rows.len() - 1].0);
    assert_ne!(before[blue], before[green]);
    server.apply(&format!(
        "version: 1\nrules:\n\
         - {{ name: one, repositories: official-postgres, from: '{blue}', to: '{green}' }}\n\
         - {{ name: two, repositories: official-postgres, from: '{green}', to: '{blue}' }}\n"
    ));
    let mut expected = before.clone();
    expected.insert(blue.clone(), before[green].clone());
    expected.insert(green.clone(), before[blue].clone());
    assert_eq!(tags(&server, "official-postgres"), expected);
}
