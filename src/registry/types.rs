//! The types of a registry: taking them in, and what becomes of states that earlier ones stored.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use super::kinds::row_of;
use super::{RegisterError, Registry};
use crate::entity::Entity;
use crate::history::{LockError, TypeError};
use crate::schema::Layout;
use crate::value::Value;

impl Registry {
    /// Takes in an entity type, with those that it owns, before its first entity comes. A history that was stored by
    /// another process is read by the types that are known: those of entities that are asked for are.
    ///
    /// # Errors
    /// Another type has the same stored name.
    pub fn register_type<T: Entity>(&self) -> Result<(), TypeError> {
        self.inner.archive.types.admit_all(row_of::<T>())
    }

    /// Registers what makes of a state of one schema of a type a state of the next, for states that were stored before:
    /// each is given the fields as they were stored, and gives those of schema `from + 1`. They are applied in order, up
    /// to the schema that the type has today (`#[entity(schema = 2)]`). What is stored stays as it is.
    ///
    /// ```
    /// use heirloom::prelude::*;
    ///
    /// #[derive(Entity, Clone)]
    /// #[entity(schema = 2)]
    /// struct Student { id: Id<Student>, first: String, last: String }
    ///
    /// let registry = Registry::in_memory();
    /// registry.upcast::<Student>(1, |old| {
    ///     let name = old.get("name").and_then(Value::as_text).ok_or("no name")?;
    ///     let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    ///     Ok(Value::fields([("first", Value::text(first)), ("last", Value::text(last))]))
    /// })?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is one from this schema already, or another type has the same stored name.
    pub fn upcast<T: Entity>(
        &self,
        from: u32,
        upcaster: impl Fn(Value) -> Result<Value, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Result<(), RegisterError> {
        match self.inner.archive.types.add_upcaster(row_of::<T>(), from, Arc::new(upcaster))? {
            true => Ok(()),
            false => Err(RegisterError::UpcasterTwice { name: T::META.full_name(), from }),
        }
    }

    /// Checks the types that are known here against a lock: a text file beside the code, with a block for every layout
    /// that histories may hold. It is written if it is not there, and whenever the environment has `HEIRLOOM_LOCK=write`;
    /// then it gains today's layouts, and never loses one. In a test of yours, with the registry set up as your program
    /// does it:
    ///
    /// ```
    /// # use heirloom::prelude::*;
    /// # #[derive(Entity, Clone)] struct Student { id: Id<Student>, name: String }
    /// # let path = std::env::temp_dir().join(format!("heirloom-doc-{}.lock", std::process::id()));
    /// let registry = Registry::in_memory();
    /// registry.register_type::<Student>()?; // and all others, and the upcasters
    /// registry.check_lock(&path)?; // "heirloom.lock", in version control
    /// # std::fs::remove_file(path).expect("it was written");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// It passes if every type of today has its layout in the lock, and every layout of the lock is that of a type of
    /// today, by name or alias, or leads there:
    ///
    /// - either upcasters are registered from its schema to today's, every one of them;
    /// - or none is, and every stored field is there today, by name or alias, with the same role and shape, and every
    ///   other field of today has a default or may be absent. Value types that it uses have the same shape; enums of
    ///   values may have got variants.
    ///
    /// So no field can be forgotten, renamed or retyped unseen. It is no proof that upcasters do what they should: read
    /// states of old for that, as of a store that is kept for the test. Nor does it look into `#[entity(value)]`, of
    /// which a layout knows no more than the name. It refuses some changes that could be read, such as a wider number, or
    /// a default within a value type: a higher schema with an upcaster that gives back what it is given says that this is
    /// meant. O(layouts · fields).
    ///
    /// # Errors
    /// The first layout that leads nowhere ([`LockError::NoPath`]) or is of no type, the first of today that is not
    /// locked; or the file was edited, or cannot be read or written.
    pub fn check_lock(&self, path: impl AsRef<Path>) -> Result<(), LockError> {
        self.inner.archive.check_lock(path.as_ref())
    }

    /// Adds the layouts of today to a lock, as [`check_lock`](Self::check_lock) does with `HEIRLOOM_LOCK=write`.
    ///
    /// # Errors
    /// As there; then the file is as it was.
    pub fn write_lock(&self, path: impl AsRef<Path>) -> Result<(), LockError> {
        self.inner.archive.write_lock(path.as_ref())
    }

    /// The stored layout of an entity type, in words and as a digest.
    #[must_use]
    pub fn layout<T: Entity>(&self) -> Layout {
        self.inner.archive.types.layout(row_of::<T>())
    }
}
