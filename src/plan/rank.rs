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
