//! Many repositories, many tags; `--ignored` runs the full size.

use std::time::Instant;

use ecr_retag::sandbox::state::State;
use serde_json::json;

use crate::support::*;

fn registry(repositories: usize, tags: usize) -> State {
    let mut state = State::new();
    for n in 0..repositories {
        let yaml = format!(
            "repositories: [{{ names: [team{}/r{n}], image: oci, \
             histories: [{{ scheme: {{ numbered: {{ name: 'build-{{n}}-g{{sha}}', count: {tags} }} }}, every_hours: 4 }}] }}]",
            n % 100
        );
        ecr_retag::sandbox::seed::plant(
            &ecr_retag::sandbox::seed::parse(&yaml).unwrap(),
            &owner(),
            &mut state,
        )
        .unwrap();
    }
    state
}

#[expect(clippy::disallowed_methods, reason = "this is about real time")]
fn measure(repositories: usize, tags: usize) {
    let start = Instant::now();
    let mut state = registry(repositories, tags);
    eprintln!("seeding {repositories} x {tags}: {:?}", start.elapsed());
    let last = repositories - 1;
    let mut request = json!({ "repositoryName": format!("team{}/r{last}", last % 100), "maxResults": 1000 });
    let start = Instant::now();
    let mut listed = 0;
    loop {
        let answer = call(&mut state, "ListImages", &request).unwrap();
        listed += answer["imageIds"].as_array().unwrap().len();
        match answer.get("nextToken") {
            Some(token) => request["nextToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(listed, tags);
    eprintln!("listing {tags} tags: {:?}", start.elapsed());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find(|line| line.starts_with("VmHWM"));
        eprintln!("memory: {peak:?}");
    }
}

#[test]
fn a_small_registry() {
    measure(20, 300);
}

#[test]
#[ignore = "takes about a minute in a debug build"]
fn a_million_tags_in_ten_thousand_repositories() {
    measure(10_000, 100);
}
