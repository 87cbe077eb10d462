//! The keys that objects had so far, to recognize the next object by its bytes.
//!
//! Records of a topic mostly repeat the same members in the same order, with the same space between them. So
//! the sequences of keys that were seen make a tree: from a place in an object lead the keys that followed
//! there. While the bytes at hand are those of the key that came last time, nothing is parsed; the map at the
//! end shares its keys with all others that took the same way.
//!
//! Lives here: the tree, its limits, and what happens when a topic has no shape to learn.
//! Never here: values.

use super::lead::Lead;
use connect_api::data::{INTERNED_AFTER, Keys, Str, Value};
use std::sync::Arc;

/// Places in the tree. Beyond, nothing more is learned until it is cleared.
const NODES_MAX: usize = 4096;
/// Keys that may follow in one place; keys that are data (ids, dates) would else fill the tree.
const FOLLOWERS_MAX: usize = 16;
/// Members of an object that is learned.
const DEPTH_MAX: usize = 512;
/// Objects without a known shape after which a full tree is cleared, in case the topic has changed.
const STRANGERS_MAX: u32 = 1 << 16;

/// A place: a position in the document and the keys of the object there so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(u32);

pub(super) struct Shapes {
    nodes: Vec<Node>,
    strangers: u32,
}

struct Node {
    /// The keys that followed here.
    followers: Vec<Follower>,
    /// Which one did so last.
    likely: usize,
    /// The keys of the object that ends here, once one did.
    keys: Option<Arc<Keys>>,
    /// How many did, up to [`INTERNED_AFTER`].
    ended: u32,
    parent: Option<(Place, usize)>,
    depth: usize,
    /// How many members the last object had that began here.
    width: usize,
    /// Where objects begin that are values of members without a place of their own.
    elsewhere: Option<Place>,
}

struct Follower {
    /// The bytes from the end of the value before to the begin of the value.
    lead: Lead,
    key: Str,
    /// The same object, one member on.
    next: Place,
    /// Where objects begin that are the value of this member or lie in arrays there.
    value: Place,
}

/// A member that was recognized or learned.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub next: Place,
    pub value: Place,
}

impl Shapes {
    pub(super) const ROOT: Place = Place(0);

    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::new(None, 0)],
            strangers: 0,
        }
    }

    /// Between two records: forgets everything when the tree is full and does not fit.
    #[inline]
    pub(super) fn between_records(&mut self) {
        if self.strangers >= STRANGERS_MAX {
            *self = Self::new();
        }
    }

    /// How many members an object will have that begins here.
    #[inline]
    pub(super) fn width(&self, begin: Place) -> usize {
        self.node(begin).width
    }

    #[inline(always)]
    fn node(&self, place: Place) -> &Node {
        // SAFETY: places are made by `add` only, and the tree shrinks between records only.
        unsafe { self.nodes.get_unchecked(place.0 as usize) }
    }

    /// The member that came here last time, when `rest` begins with the same bytes up to its value, and how
    /// many they are.
    #[inline(always)]
    pub(super) fn predicted(&self, place: Place, rest: &[u8]) -> Option<(Step, usize)> {
        let node = self.node(place);
        let follower = node.followers.get(node.likely)?;
        let step = Step {
            next: follower.next,
            value: follower.value,
        };
        follower
            .lead
            .begins(rest)
            .then_some((step, follower.lead.len()))
    }

    /// The member of that key, which is learned if it may be; `lead` are its bytes up to the value.
    ///
    /// `None`: there is nothing to learn, or the object has the key already.
    pub(super) fn follow(&mut self, place: Place, key: &str, lead: &[u8]) -> Option<Step> {
        let node = &mut self.nodes[place.0 as usize];
        if let Some(i) = node.followers.iter().position(|f| f.key == key) {
            node.likely = i;
            let follower = &mut node.followers[i];
            follower.lead.learn(lead);
            return Some(Step {
                next: follower.next,
                value: follower.value,
            });
        }
        self.learn(place, key, lead)
    }

    fn learn(&mut self, place: Place, key: &str, lead: &[u8]) -> Option<Step> {
        let node = &self.nodes[place.0 as usize];
        let i = node.followers.len();
        let depth = node.depth + 1;
        let full = i == FOLLOWERS_MAX || depth > DEPTH_MAX || self.nodes.len() + 2 > NODES_MAX;
        if full || self.path(place).any(|known| known == key) {
            return None;
        }
        let next = self.add(Some((place, i)), depth);
        let value = self.add(None, 0);
        let node = &mut self.nodes[place.0 as usize];
        node.likely = i;
        node.followers.push(Follower {
            lead: Lead::new(lead),
            // Of its own: a learned key must not keep a fetched buffer alive.
            key: Str::from(key),
            next,
            value,
        });
        Some(Step { next, value })
    }

    fn add(&mut self, parent: Option<(Place, usize)>, depth: usize) -> Place {
        let place = Place(self.nodes.len() as u32);
        self.nodes.push(Node::new(parent, depth));
        place
    }

    /// The keys on the way to a place, the last one first.
    fn path(&self, place: Place) -> impl Iterator<Item = &Str> {
        let mut at = self.nodes[place.0 as usize].parent;
        std::iter::from_fn(move || {
            let (place, i) = at?;
            let node = &self.nodes[place.0 as usize];
            at = node.parent;
            Some(&node.followers[i].key)
        })
    }

    /// The keys of the object that began at `begin` and ends at `end`.
    #[inline]
    pub(super) fn keys(&mut self, begin: Place, end: Place) -> &Arc<Keys> {
        let node = &self.nodes[end.0 as usize];
        if node.keys.is_none() || node.ended < INTERNED_AFTER {
            self.learn_keys(end);
        }
        self.nodes[begin.0 as usize].width = self.nodes[end.0 as usize].depth;
        let keys = &self.nodes[end.0 as usize].keys;
        keys.as_ref().expect("just learned")
    }

    #[inline(never)]
    fn learn_keys(&mut self, end: Place) {
        let node = &self.nodes[end.0 as usize];
        let ended = node.ended + 1;
        if node.keys.is_none() || ended == INTERNED_AFTER {
            let keys = self.keys_so_far(end);
            self.nodes[end.0 as usize].keys = Some(match ended {
                INTERNED_AFTER => Keys::interned(keys),
                _ => Arc::new(Keys::new(keys)),
            });
        }
        self.nodes[end.0 as usize].ended = ended;
    }

    /// The keys of an object up to a place.
    pub(super) fn keys_so_far(&self, place: Place) -> Vec<Value> {
        let mut keys: Vec<Value> = self.path(place).map(|key| key.clone().into()).collect();
        keys.reverse();
        keys
    }

    /// Where objects begin in members that are not learned.
    pub(super) fn elsewhere(&mut self, begin: Place) -> Place {
        if self.nodes.len() >= NODES_MAX {
            self.strangers = self.strangers.saturating_add(1);
        }
        if let Some(place) = self.nodes[begin.0 as usize].elsewhere {
            return place;
        }
        if self.nodes.len() >= 2 * NODES_MAX {
            return begin;
        }
        let place = self.add(None, 0);
        self.nodes[begin.0 as usize].elsewhere = Some(place);
        place
    }
}

impl Node {
    fn new(parent: Option<(Place, usize)>, depth: usize) -> Self {
        Self {
            followers: Vec::new(),
            likely: 0,
            keys: None,
            ended: 0,
            parent,
            depth,
            width: 0,
            elsewhere: None,
        }
    }
}
