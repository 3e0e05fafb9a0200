//! Plans and inventories for tests, from a few words.

use std::io;

use jiff::Timestamp;

use super::{Plan, PlanInput, Rule, VariableInputs, load};
use crate::inventory::{Image, Inventory};
use crate::model::Digest;

/// A plan file's plan; panics if anything is wrong with it.
pub(super) fn plan(text: &str) -> Plan {
    let input = PlanInput {
        path: "plan.yaml".into(),
        text: text.to_owned(),
    };
    let loaded = load(vec![input], &VariableInputs::default(), &|_| {
        Err(io::ErrorKind::NotFound.into())
    });
    loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

/// A rule on `shop/api`, from the keys that differ: `from: a, to: b`.
pub(super) fn rule(keys: &str) -> Rule {
    let text = format!("version: 1\nrules: [{{ name: r, repositories: shop/api, {keys} }}]\n");
    plan(&text).rules.remove(0)
}

/// The image that tests call by this name.
pub(super) fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// An inventory of `shop/api`: `TAG=IMAGE` or `TAG=IMAGE@TIME`, the time in seconds since 1970.
pub(super) fn inventory(tags: &[&str]) -> Inventory {
    let mut inventory = Inventory::empty("shop/api".parse().unwrap());
    for tag in tags {
        let (tag, image) = tag.split_once('=').unwrap_or((tag, tag));
        let (image, time) = image.split_once('@').unwrap_or((image, ""));
        let image = digest(image);
        inventory.tags.insert(tag.parse().unwrap(), image);
        if let Ok(second) = time.parse() {
            let pushed_at = Timestamp::from_second(second).ok();
            let known = Image {
                pushed_at,
                ..Image::default()
            };
            inventory.images.insert(image, known);
        }
    }
    inventory
}
