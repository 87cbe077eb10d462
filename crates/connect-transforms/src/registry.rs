//! The list of transforms and predicates by the names of the Java classes that they stand for.
//!
//! Lives here: the list. Short names are made from these by the worker, as for every plugin.

use connect_api::{Predicate, Transformation};

pub type MakeTransformation = fn() -> Box<dyn Transformation>;
pub type MakePredicate = fn() -> Box<dyn Predicate>;

const TRANSFORMATIONS: &[(&str, MakeTransformation)] = &[];

const PREDICATES: &[(&str, MakePredicate)] = &[];

/// Class name and constructor of every transform. A transform of keys and of values is there twice, as
/// `Class$Key` and `Class$Value`.
pub fn transformations() -> impl Iterator<Item = (&'static str, MakeTransformation)> {
    let all = TRANSFORMATIONS
        .iter()
        .chain(crate::debezium::TRANSFORMATIONS)
        .chain(crate::confluent::TRANSFORMATIONS);
    all.copied()
}

/// Class name and constructor of every predicate.
pub fn predicates() -> impl Iterator<Item = (&'static str, MakePredicate)> {
    PREDICATES.iter().copied()
}
