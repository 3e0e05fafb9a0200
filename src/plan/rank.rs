//! Which of several sources is the highest or the newest.

use std::cmp::Ordering;

use jiff::Timestamp;
use semver::Version;

use super::Pick;

/// What an image counts as, when `pick` or `advance` compares it with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rank {
    /// The tag it is known by; absent if it was selected by its digest.
    pub tag: Option<String>,
    /// The version that the tag stands for.
    pub version: Option<Version>,
    /// When the image was pushed.
    pub pushed_at: Option<Timestamp>,
}

/// The order that was used, for the reason that a change carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By the time of the push.
    PushTime,
    /// By the precedence that semver gives to versions.
    Semver,
    /// By the text of the tags, runs of digits counting as numbers.
    Natural,
}

impl Order {
    /// How a reason names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PushTime => "push time",
            Self::Semver => "semver precedence",
            Self::Natural => "natural order",
        }
    }

    /// The order by which these are compared: `newest` by push time, else by version if all have one.
    pub fn of<'a>(pick: Pick, ranks: impl IntoIterator<Item = &'a Rank>) -> Self {
        match pick {
            Pick::Newest => Self::PushTime,
            Pick::Only | Pick::Highest => {
                if ranks.into_iter().all(|rank| rank.version.is_some()) {
                    Self::Semver
                } else {
                    Self::Natural
                }
            }
        }
    }

    /// Compares two ranks; `None` if one of them has no place in this order.
    pub fn compare(self, a: &Rank, b: &Rank) -> Option<Ordering> {
        match self {
            Self::PushTime => Some(a.pushed_at?.cmp(&b.pushed_at?)),
            Self::Semver => Some(a.version.as_ref()?.cmp_precedence(b.version.as_ref()?)),
            Self::Natural => Some(natural(a.tag.as_deref()?, b.tag.as_deref()?)),
        }
    }
}

/// Picks the best: the order that was used, and the places of those that stand highest in it.
///
/// More than one place is a tie. `None` if there is nothing to pick from, or if several are there and one of them
/// has no place in the order, such as an image whose push time is not known.
pub fn best(pick: Pick, ranks: &[Rank]) -> Option<(Order, Vec<usize>)> {
    let order = Order::of(pick, ranks);
    let mut places = vec![0];
    let mut highest = ranks.first()?;
    for (place, rank) in ranks.iter().enumerate().skip(1) {
        match order.compare(rank, highest)? {
            Ordering::Less => {}
            Ordering::Equal => places.push(place),
            Ordering::Greater => {
                places = vec![place];
                highest = rank;
            }
        }
    }
    Some((order, places))
}

/// Compares texts, runs of digits counting as numbers: `1.9` is before `1.10`, and `1.01` is equal to `1.1`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let ordering = match (split_number(a), split_number(b)) {
            (Some((number_a, rest_a)), Some((number_b, rest_b))) => {
                (a, b) = (rest_a, rest_b);
                number_a.len().cmp(&number_b.len()).then(number_a.cmp(number_b))
            }
            _ => match (a.split_first(), b.split_first()) {
                (Some((byte_a, rest_a)), Some((byte_b, rest_b))) => {
                    (a, b) = (rest_a, rest_b);
                    byte_a.cmp(byte_b)
                }
                (rest_a, rest_b) => return rest_a.is_some().cmp(&rest_b.is_some()),
            },
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

/// The digits that a text begins with, without leading zeros, and what follows them.
fn split_number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let zeros = number.iter().take_while(|&&byte| byte == b'0').count();
    (digits > 0).then_some((number.get(zeros..)?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rank(tag: &str) -> Rank {
        Rank {
            tag: Some(tag.to_owned()),
            version: Version::parse(tag).ok(),
            pushed_at: None,
        }
    }

    fn highest(tags: &[&str]) -> (Order, Vec<usize>) {
        let ranks: Vec<Rank> = tags.iter().copied().map(rank).collect();
        best(Pick::Highest, &ranks).unwrap()
    }

    #[test]
    fn the_highest_is_by_semver_if_all_are_versions() {
        assert_eq!(
            highest(&["1.9.0", "1.10.0", "1.10.0-rc.1"]),
            (Order::Semver, vec![1])
        );
        assert_eq!(highest(&["1.9", "1.10", "1.2.0"]), (Order::Natural, vec![1]));
        assert_eq!(
            highest(&["2024.01.15", "2024.1.15", "2023.12.31"]),
            (Order::Natural, vec![0, 1])
        );
        assert_eq!(highest(&["1.0.0+a", "1.0.0+b"]), (Order::Semver, vec![0, 1]));
        assert_eq!(best(Pick::Highest, &[]), None);
    }

    #[test]
    fn the_newest_is_by_push_time_and_needs_it_of_all() {
        let pushed = |second| Rank {
            tag: None,
            version: None,
            pushed_at: Timestamp::from_second(second).ok(),
        };
        assert_eq!(
            best(Pick::Newest, &[pushed(1), pushed(3), pushed(2)]),
            Some((Order::PushTime, vec![1]))
        );
        assert_eq!(
            best(Pick::Newest, &[pushed(3), pushed(3)]),
            Some((Order::PushTime, vec![0, 1]))
        );
        assert_eq!(best(Pick::Newest, &[pushed(3), rank("1.0.0")]), None);
    }

    #[test]
    fn natural_order_reads_numbers() {
        for (less, more) in [
            ("1.9", "1.10"),
            ("build-9-x", "build-10-a"),
            ("a", "b"),
            ("1", "1.0"),
            ("", "0"),
            ("9", "10000000000000000000000000"),
            ("v1", "v1-rc"),
        ] {
            assert_eq!(natural(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(natural(more, less), Ordering::Greater, "{more} {less}");
        }
        assert_eq!(natural("1.01", "1.1"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn the_highest_agrees_with_the_semver_crate(
            versions in prop::collection::vec((0_u64..4, 0_u64..4, 0_u64..4, prop::option::of("[a-c0-9]{1,2}")), 1..12),
        ) {
            let texts: Vec<String> = versions
                .into_iter()
                .map(|(major, minor, patch, pre)| {
                    let pre = pre.map(|pre| format!("-x{pre}")).unwrap_or_default();
                    format!("{major}.{minor}.{patch}{pre}")
                })
                .collect();
            let tags: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (order, places) = highest(&tags);
            let parsed: Vec<Version> = tags.iter().map(|tag| Version::parse(tag).unwrap()).collect();
            let expected = parsed.iter().max().unwrap();
            prop_assert_eq!(order, Order::Semver);
            for place in places {
                prop_assert_eq!(&parsed[place], expected);
            }
        }

        #[test]
        fn natural_order_is_an_order(a in "[a0-9.]{0,6}", b in "[a0-9.]{0,6}", c in "[a0-9.]{0,6}") {
            prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
                prop_assert!(natural(&a, &c).is_le());
            }
        }
    }
}
