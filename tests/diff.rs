//! What changed: nothing is missed, nothing is made up, and it prints as it is.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use common::{for_both_schools, small_school};
use heirloom::prelude::*;
use heirloom::{ChildKindForTests as _, diff};

fn check() {}
