//! A sandbox of this process that the real binary reaches, with two accounts and a role in each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use ecr_retag::sandbox::serve::serve;
use ecr_retag::sandbox::state::RoleRule;
use ecr_retag::sandbox::{Caller, Faults, Sandbox, State, seed};
use jiff::Timestamp;

use crate::folder::Folder;

/// The account of the keys in the environment; it holds nothing.
pub(crate) const AMBIENT: &str = "123456789012";
pub(crate) const EU: &str = "111111111111";
pub(crate) const US: &str = "222222222222";

/// What an access key needs to belong to an account.
pub(crate) fn key_of(account: &str) -> String {
    format!("AKIA{account}AAAA")
}

pub(crate) fn role_of(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/retag")
}

/// A plan for both accounts, each reached by its role.
pub(crate) fn plan() -> String {
    format!(
        "version: 1
registries:
  eu:
    region: eu-west-1
    account: \"{EU}\"
    assume_role: {}
    external_id: ticket-42
    session_name: cut
    duration: 15m
  us: {{ region: us-east-1, assume_role: {} }}
rules:
  - {{ name: cut, repositories: shop/api, from: 1.8.0-rc.3, to: [1.8.0, stable] }}
",
        role_of(EU),
        role_of(US)
    )
}

pub(crate) struct Loopback {
    pub(crate) sandbox: Sandbox,
    port: u16,
}

impl Loopback {
    /// `shop/api` with `1.8.0-rc.3` and `stable` in both accounts.
    pub(crate) fn start() -> Self {
        let mut yaml = "repositories:\n".to_owned();
        for (account, region) in [(EU, "eu-west-1"), (US, "us-east-1")] {
            write!(
                yaml,
                "- names: [shop/api]\n  account: \"{account}\"\n  region: {region}\n  images:\n  \
                 - {{ name: rc, tags: [1.8.0-rc.3] }}\n  - {{ name: old, tags: [1.7.3, stable] }}\n"
            )
            .unwrap();
        }
        Self::serving(&yaml)
    }

    /// What this seed holds.
    pub(crate) fn serving(yaml: &str) -> Self {
        let mut state = State::new();
        let owner = seed::default_owner().unwrap();
        seed::plant(&seed::parse(yaml).unwrap(), &owner, &mut state).unwrap();
        let rule = RoleRule {
            external_id: Some("ticket-42".to_owned()),
            is_denied: false,
        };
        state.set_role(&role_of(EU), rule);
        #[expect(clippy::disallowed_methods, reason = "the program signs by the real time")]
        let sandbox = Sandbox::new(state, Faults::none(), Arc::new(Timestamp::now));
        let served = sandbox.clone();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let on_ready = move |address: std::net::SocketAddr| sender.send(address.port()).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(served, 0, on_ready, std::future::pending()))
        });
        let port = receiver.recv().unwrap();
        Self { sandbox, port }
    }

    /// Puts `shop/api` with `1.8.0-rc.3` there as well.
    pub(crate) fn seed(&self, account: &str, region: &str) {
        let owner = Caller {
            account: account.parse().unwrap(),
            region: region.parse().unwrap(),
        };
        let yaml = "repositories: [{ names: [shop/api], images: [{ name: rc, tags: [1.8.0-rc.3] }] }]";
        let seed = seed::parse(yaml).unwrap();
        let planted = self.sandbox.edit(|state| seed::plant(&seed, &owner, state));
        planted.unwrap().unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A folder to run the program in that reaches this sandbox, with the keys of an account that holds nothing.
    pub(crate) fn folder(&self) -> Folder {
        self.folder_as(AMBIENT)
    }

    /// The same with the keys of this account.
    pub(crate) fn folder_as(&self, account: &str) -> Folder {
        Folder::new()
            .with("AWS_ENDPOINT_URL", &self.url())
            .with("AWS_ACCESS_KEY_ID", &key_of(account))
            .with("AWS_SECRET_ACCESS_KEY", "secret")
    }

    /// The tags of `shop/api` in this account and region, each with the start of its digest.
    pub(crate) fn tags(&self, account: &str, region: &str) -> BTreeMap<String, String> {
        let owner = Caller {
            account: account.parse().unwrap(),
            region: region.parse().unwrap(),
        };
        let tags = self
            .sandbox
            .with_state(|state| state.tags(&owner, &"shop/api".parse().unwrap()));
        let short = |(tag, digest): (ecr_retag::model::Tag, ecr_retag::model::Digest)| {
            (tag.to_string(), digest.short())
        };
        tags.into_iter().map(short).collect()
    }

    /// How many calls changed something.
    pub(crate) fn writes(&self) -> u64 {
        self.sandbox
            .tallies()
            .values()
            .map(|tally| tally.took_effect)
            .sum()
    }
}
