//! Which host is called: the SDK's own rules for partitions, FIPS and dual-stack.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::folder::Folder;

/// The first connection that comes; a program that ends without one fails the test.
fn accept(listener: &TcpListener, child: &mut Child) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                return stream;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        assert_eq!(child.try_wait().unwrap(), None, "it ended without a call");
        #[expect(
            clippy::disallowed_methods,
            reason = "it is another process that is waited for"
        )]
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The host that the program asks a proxy to connect it with.
fn host(region: &str, variable: Option<&str>) -> String {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut folder = Folder::new()
        .with("HTTPS_PROXY", &format!("http://{}", proxy.local_addr().unwrap()))
        .with("AWS_ACCESS_KEY_ID", "test")
        .with("AWS_SECRET_ACCESS_KEY", "test");
    if let Some(variable) = variable {
        folder = folder.with(variable, "true");
    }
    folder.file(
        "plan.yaml",
        &format!(
            "version: 1\nregistries: {{ there: {{ region: {region} }} }}\nrules: [{{ name: cut, repositories: shop/api, \
             from: a, to: b }}]\n"
        ),
    );
    let mut command = folder.command(env!("CARGO_BIN_EXE_ecr-retag"));
    command.args([
        "plan",
        "plan.yaml",
        "--connect-timeout",
        "0",
        "--read-timeout",
        "0",
    ]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stream = accept(&proxy, &mut child);
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let host = line
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split_once(":443 "));
    host.unwrap_or_else(|| panic!("{line}")).0.to_owned()
}

#[test]
fn every_partition_has_its_endpoints() {
    let (fips, dual_stack) = (Some("AWS_USE_FIPS_ENDPOINT"), Some("AWS_USE_DUALSTACK_ENDPOINT"));
    for (region, variable, part, end) in [
        ("eu-west-1", None, "api.ecr.", "eu-west-1.amazonaws.com"),
        ("eu-west-1", dual_stack, "ecr.", "eu-west-1.api.aws"),
        ("us-east-1", fips, "ecr-fips.", "us-east-1.amazonaws.com"),
        ("cn-north-1", None, "api.ecr.", "cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", None, "api.ecr.", "us-gov-west-1.amazonaws.com"),
        ("us-gov-west-1", fips, "ecr-fips.", "us-gov-west-1.amazonaws.com"),
    ] {
        let host = host(region, variable);
        assert!(
            host.contains(part) && host.ends_with(end),
            "{region} {variable:?}: {host}"
        );
    }
}
