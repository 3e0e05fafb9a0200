//! What the commands do: serve, reset, seed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use aws_sdk_ecr::Client;
use ecr_retag::sandbox::command::{self, CommandError, ServeOptions};
use ecr_retag::sandbox::seed::HistoryOptions;
use ecr_retag::sandbox::{Quota, Sandbox};

use crate::support::*;

fn write(folder: &Path, file: &str, text: &str) -> PathBuf {
    let path = folder.join(file);
    fs::File::create(&path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    path
}

#[tokio::test]
async fn serves_with_port_file_faults_and_state_file() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServeOptions {
        port_file: Some(folder.path().join("new/port")),
        state_file: Some(folder.path().join("state.json")),
        seeds: vec![write(folder.path(), "seed.yaml", SMALL)],
        faults: Some(write(
            folder.path(),
            "faults.yaml",
            "rules: [{ match: { nth: 2 }, action: drop-before }]",
        )),
        quotas: vec![Quota::new("PutImage", Some(1000.0))],
        ..ServeOptions::default()
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (ready, address) = tokio::sync::oneshot::channel();
    let running = options.clone();
    let server = tokio::spawn(async move {
        let stopped = async { stopped.await.unwrap_or_default() };
        command::serve(&running, still(), |address| ready.send(address).unwrap(), stopped).await
    });
    let address = address.await.unwrap();
    assert!(address.ip().is_loopback());
    let port = fs::read_to_string(folder.path().join("new/port")).unwrap();
    assert_eq!(port, format!("{}\n", address.port()));
    let config = config("test", "us-east-1").endpoint_url(format!("http://{address}"));
    let client = Client::from_conf(config.build());
    let create = |name: &str| client.create_repository().repository_name(name).send();
    create("shop/new").await.unwrap();
    assert!(create("shop/lost").await.is_err());
    let error = Sandbox::open(&folder.path().join("state.json"), still()).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    assert_eq!(fs::read(folder.path().join("state.json.log")).unwrap(), b"");
    let kept = Sandbox::open(&folder.path().join("state.json"), still()).unwrap();
    let names = kept.with_state(|state| {
        let repositories = state.repositories(&owner());
        repositories.map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    });
    assert_eq!(names, ["shop/api", "shop/new"]);
}

#[tokio::test]
async fn a_broken_connection_is_seen_over_loopback_too() {
    let plan = "rules:
      - { match: { nth: 1 }, action: drop-after }
      - { match: { nth: 2 }, action: truncate }";
    let sandbox = faulty(SMALL, plan);
    let (ready, address) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(ecr_retag::sandbox::serve::serve(
        sandbox,
        0,
        |address| ready.send(address).unwrap(),
        std::future::pending(),
    ));
    let address = address.await.unwrap();
    let config = config("test", "us-east-1").endpoint_url(format!("http://{address}"));
    let client = Client::from_conf(config.build());
    let list = || client.list_images().repository_name("shop/api").send();
    assert!(matches!(
        list().await.unwrap_err(),
        aws_sdk_ecr::error::SdkError::DispatchFailure(_)
    ));
    assert!(matches!(
        list().await.unwrap_err(),
        aws_sdk_ecr::error::SdkError::ResponseError(_)
    ));
    list().await.unwrap();
    // Garbage does no harm.
    let answer = tokio::task::spawn_blocking(move || {
        let mut answers = Vec::new();
        for garbage in [
            "nonsense\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.write_all(garbage.as_bytes()).unwrap();
            let mut answer = [0; 12];
            socket.read_exact(&mut answer).unwrap();
            answers.push(String::from_utf8_lossy(&answer).into_owned());
        }
        answers
    });
    assert_eq!(answer.await.unwrap(), ["HTTP/1.1 400", "HTTP/1.1 413"]);
    list().await.unwrap();
    server.abort();
}

#[test]
fn seeds_files_histories_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let histories = folder.path().join("histories");
    fs::create_dir(&histories).unwrap();
    write(
        &histories,
        "one.tsv",
        "1.0\taaa\t2024-01-01T00:00:00Z\n1.1\tbbb\t2024-01-02T00:00:00Z\n",
    );
    write(&histories, "two.tsv", "2.0\taaa\t2024-01-01T00:00:00Z\n");
    write(&histories, "readme.md", "not a seed");
    let yaml = write(folder.path(), "seed.yaml", SMALL);
    let state = folder.path().join("state.json");
    let seed = |files: &[PathBuf]| command::seed(&state, files, HistoryOptions::default(), still());
    let contents = seed(&[yaml, histories.clone()]).unwrap();
    assert_eq!((contents.repositories, contents.images, contents.tags), (3, 5, 5));
    // Again, with what is there.
    let contents = seed(&[histories.join("two.tsv")]).unwrap();
    assert_eq!((contents.repositories, contents.images, contents.tags), (3, 5, 5));
    let kept = Sandbox::open(&state, still()).unwrap();
    assert_eq!(
        kept.with_state(|state| state.tags(&owner(), &name("one")).len()),
        2
    );
    drop(kept);
    let bad = write(folder.path(), "Bad Name.tsv", "1.0\taaa\n");
    assert!(matches!(seed(&[bad]).unwrap_err(), CommandError::Name { .. }));
    let bad = write(folder.path(), "bad.yaml", "repositories: 7");
    assert!(matches!(seed(&[bad]).unwrap_err(), CommandError::Seed { .. }));
    let none = folder.path().join("none.yaml");
    assert!(matches!(seed(&[none]).unwrap_err(), CommandError::Io { .. }));
    let contents = command::reset(&state).unwrap();
    assert!(contents.repositories >= 10 && contents.tags > 1_000);
}
