//! A part of the log, said as a range of positions, times or tags.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use crate::history::{History, ReadError};
use crate::when::{Position, Timestamp, When};

/// A stretch of the log, as a range of positions, of times, or of any [`When`] but a revision: `..`, `Position(10)..`,
/// `january..february`, `Position(1)..=Position(9)`.
///
/// From a time on means: after the highest position whose time is earlier; up to a time: up to the highest position whose
/// time is not later.
pub trait Stretch {
    #[doc(hidden)]
    fn ends(self) -> Ends;
}

/// The ends of a stretch; `None` where it has none. Nobody else can make one, so that no other type is a stretch.
#[doc(hidden)]
pub struct Ends {
    first: Option<End>,
    last: Option<End>,
}

/// One end of a stretch.
enum End {
    At(When),
    Before(When),
}

macro_rules! stretches {
    ($([$($when:ident)?] $range:ty, |$given:ident| $ends:expr;)*) => {$(
        impl$(<$when: Into<When>>)? Stretch for $range {
            fn ends(self) -> Ends {
                let $given = self;
                let (first, last) = $ends;
                Ends { first, last }
            }
        }
    )*};
}

impl Ends {
    /// The first and the last position of the stretch.
    pub(super) fn within(self, history: &History) -> Result<(Position, Position), ReadError> {
        let first = match self.first {
            None => Position(1),
            // An empty log is at the position 0, and no entry is.
            Some(End::At(when)) => first_of(history, when)?.max(Position(1)),
            Some(End::Before(when)) => Position(last_before(history, when)?.0 + 1),
        };
        let last = match self.last {
            None => history.head(),
            Some(End::At(when)) => last_of(history, when)?,
            Some(End::Before(when)) => last_before(history, when)?,
        };
        Ok((first, last))
    }
}

impl End {
    fn at(when: impl Into<When>) -> Option<Self> {
        Some(End::At(when.into()))
    }

    fn before(when: impl Into<When>) -> Option<Self> {
        Some(End::Before(when.into()))
    }
}

stretches! {
    [] RangeFull, |_all| (None, None);
    [W] RangeFrom<W>, |range| (End::at(range.start), None);
    [W] RangeTo<W>, |range| (None, End::before(range.end));
    [W] RangeToInclusive<W>, |range| (None, End::at(range.end));
    [W] Range<W>, |range| (End::at(range.start), End::before(range.end));
    [W] RangeInclusive<W>, |range| {
        let (first, last) = range.into_inner();
        (End::at(first), End::at(last))
    };
}

/// The first position that is at a point in the log.
fn first_of(history: &History, when: When) -> Result<Position, ReadError> {
    match when {
        // Whoever asks from a time on means what has this time, too.
        When::Time(_) => Ok(Position(last_before(history, when)?.0 + 1)),
        when => history.position(when),
    }
}

/// The last position that is at a point in the log, or before it.
fn last_of(history: &History, when: When) -> Result<Position, ReadError> {
    match history.position(when) {
        Err(ReadError::TooEarly { .. }) => Ok(Position(0)),
        found => found,
    }
}

/// The last position before a point in the log.
fn last_before(history: &History, when: When) -> Result<Position, ReadError> {
    match when {
        When::Time(time) => last_of(history, When::Time(Timestamp::from_micros(time.as_micros().saturating_sub(1)))),
        when => Ok(Position(history.position(when)?.0.saturating_sub(1))),
    }
}
