//! Plans compiled for a schema, found again at the cost of a pointer comparison.

use connect_api::data::Schema;

/// How many schemas one transform remembers; the oldest is forgotten.
const CAPACITY: usize = 64;

/// What was compiled for which schema. Looked up by pointer first, by equality second.
pub(crate) struct Plans<P> {
    entries: Vec<(Schema, P)>,
    oldest: usize,
}

impl<P> Default for Plans<P> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            oldest: 0,
        }
    }
}

impl<P> Plans<P> {
    /// The plan for a schema, made now if there is none.
    ///
    /// Cost: comparisons of pointers for a schema seen before; a deep comparison and `make` otherwise.
    pub(crate) fn get_or_make(
        &mut self,
        schema: &Schema,
        make: impl FnOnce(&Schema) -> P,
    ) -> &mut P {
        let at = match self.position(schema) {
            Some(at) => at,
            None => self.insert(schema, make),
        };
        &mut self.entries[at].1
    }

    fn position(&mut self, schema: &Schema) -> Option<usize> {
        let same = |(known, _): &(Schema, P)| known.ptr_eq(schema);
        if let Some(at) = self.entries.iter().position(same) {
            return Some(at);
        }
        let at = self.entries.iter().position(|(known, _)| known == schema)?;
        self.entries[at].0 = schema.clone();
        Some(at)
    }

    #[cold]
    fn insert(&mut self, schema: &Schema, make: impl FnOnce(&Schema) -> P) -> usize {
        let entry = (schema.clone(), make(schema));
        if self.entries.len() < CAPACITY {
            self.entries.push(entry);
            return self.entries.len() - 1;
        }
        let at = self.oldest;
        self.oldest = (at + 1) % CAPACITY;
        self.entries[at] = entry;
        at
    }
}

/// What a plan could not say, kept until a record asks for it, as Java fails only then.
#[derive(Clone, Debug)]
pub(crate) struct PlanError(String);

pub(crate) type Planned<T> = Result<T, PlanError>;

impl From<connect_api::ConnectError> for PlanError {
    fn from(error: connect_api::ConnectError) -> Self {
        Self(error.message().to_string())
    }
}

impl From<String> for PlanError {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<&PlanError> for connect_api::ConnectError {
    fn from(error: &PlanError) -> Self {
        connect_api::ConnectError::data(error.0.clone())
    }
}

/// The plan, or its error as a record gets it.
pub(crate) fn planned<T>(plan: &Planned<T>) -> connect_api::Result<&T> {
    plan.as_ref().map_err(connect_api::ConnectError::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_api::data::SchemaBuilder;

    fn schema(name: &str) -> Schema {
        let builder = SchemaBuilder::structure().name(name);
        builder.build().expect("a struct without fields")
    }

    #[test]
    fn equal_schemas_share_a_plan_and_many_schemas_do_not_pile_up() {
        let mut plans: Plans<usize> = Plans::default();
        for i in 0..CAPACITY + 5 {
            plans.get_or_make(&schema(&format!("s{i}")), |_| i);
        }
        assert_eq!(plans.entries.len(), CAPACITY);
        assert_eq!(*plans.get_or_make(&schema("s60"), |_| 999), 60);
        assert_eq!(*plans.get_or_make(&schema("s0"), |_| 999), 999);
    }
}
