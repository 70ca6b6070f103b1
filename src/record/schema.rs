//! The names of a row's values.

/// Field names in the order of a row's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    fields: Vec<String>,
}

impl Schema {
    /// A schema of these fields; a name given twice counts once.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut schema = Schema::default();
        for name in names {
            schema.add(name);
        }
        schema
    }

    /// The slot of a field, which is added at the end if it is new.
    pub fn add(&mut self, name: impl Into<String>) -> usize {
        let name = name.into();
        self.slot(&name).unwrap_or_else(|| {
            self.fields.push(name);
            self.fields.len() - 1
        })
    }

    /// The slot of a field.
    pub fn slot(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field == name)
    }

    /// The names, by slot.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_slot() {
        let mut schema = Schema::new(["a", "b", "a"]);
        assert_eq!(schema.fields(), ["a", "b"]);
        assert_eq!(schema.add("b"), 1);
        assert_eq!(schema.add("c"), 2);
        assert_eq!(schema.slot("d"), None);
    }
}
