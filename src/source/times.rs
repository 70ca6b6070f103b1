//! How a source tells event time: which time a record has, and how far the frontier follows.

use std::rc::Rc;
use std::time::Duration;

use tiderace_operators::time::{EventTime, Span};
use tiderace_operators::watermark::{Guard, Policy};

/// What to do with a record that has no usable event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// It goes to the rejects, with the reason.
    #[default]
    Reject,
    /// It gets the wall time of its reading.
    Ingestion,
    /// It gets the event time of the record before it in its partition; the first is rejected.
    Previous,
}

/// What to do with a record whose event time is too far ahead to be believed. Either way it does not
/// move the frontier, and is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFuture {
    /// It flows on like any other.
    #[default]
    Keep,
    /// It goes to the rejects, with the reason.
    Reject,
}

/// Why a record has no usable event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoTime {
    /// `missing-time` or `bad-time`.
    pub class: &'static str,
    /// What was found.
    pub message: String,
}

/// What a function may return as the event time of a record.
pub trait IntoTime {
    /// The event time, or why there is none.
    fn into_time(self) -> Result<EventTime, NoTime>;
}

impl IntoTime for EventTime {
    #[inline]
    fn into_time(self) -> Result<EventTime, NoTime> {
        Ok(self)
    }
}

impl IntoTime for Option<EventTime> {
    fn into_time(self) -> Result<EventTime, NoTime> {
        self.ok_or_else(|| NoTime {
            class: "missing-time",
            message: "the record has no event time".to_owned(),
        })
    }
}

impl IntoTime for Result<EventTime, NoTime> {
    fn into_time(self) -> Result<EventTime, NoTime> {
        self
    }
}

/// Event times of a source's records, and its watermark policy.
///
/// Defaults: records in order of event time within their partition, a silent partition is idle after
/// 30 s at the end of its log, and records more than 5 minutes in the future do not move the frontier.
#[derive(Clone)]
pub struct Times<D, F> {
    pub(crate) of: F,
    pub(crate) policy: Policy,
    pub(crate) announces: Option<Announces<D>>,
    pub(crate) payload: Option<Payload<D>>,
    pub(crate) guard: Guard,
    pub(crate) idle_after: Option<Duration>,
    pub(crate) on_missing: OnMissing,
    pub(crate) on_future: OnFuture,
}

/// Says which records of a punctuated source move the frontier.
pub(crate) type Announces<D> = Rc<dyn Fn(&D) -> bool>;

/// Gives the bytes of a record for the rejects.
pub(crate) type Payload<D> = Rc<dyn Fn(&D) -> Vec<u8>>;

/// Event time is what this function says; it may return an [`EventTime`], an `Option` of one, or a
/// `Result` with the reason why there is none.
pub fn event_time<D, T: IntoTime, F: Fn(&D) -> T>(of: F) -> Times<D, F> {
    Times {
        of,
        policy: Policy::ascending(),
        announces: None,
        payload: None,
        guard: Guard { max_future_skew: Some(Duration::from_secs(300).into()), max_jump: None },
        idle_after: Some(Duration::from_secs(30)),
        on_missing: OnMissing::Reject,
        on_future: OnFuture::Keep,
    }
}

impl<D, F> Times<D, F> {
    /// Records come at most this much out of order within their partition. One that is exactly this
    /// much behind the newest is on time.
    #[must_use]
    pub fn behind(mut self, bound: Duration) -> Self {
        self.policy = Policy::bounded(bound);
        self
    }

    /// Only records for which this is true move the frontier, to their own event time.
    #[must_use]
    pub fn punctuated(mut self, announces: impl Fn(&D) -> bool + 'static) -> Self {
        self.policy = Policy::Punctuated;
        self.announces = Some(Rc::new(announces));
        self
    }

    /// A partition that has been silent for this long, with its log read to the end, does not hold
    /// the frontier until its next record.
    #[must_use]
    pub fn idle_after(mut self, silence: Duration) -> Self {
        self.idle_after = Some(silence);
        self
    }

    /// A silent partition holds the frontier for ever.
    #[must_use]
    pub fn never_idle(mut self) -> Self {
        self.idle_after = None;
        self
    }

    /// Records further than this in the future of the wall clock flow but do not move the frontier.
    #[must_use]
    pub fn max_future_skew(mut self, skew: Duration) -> Self {
        self.guard.max_future_skew = Some(skew.into());
        self
    }

    /// The wall clock does not judge event times: for replays, and for results that must depend on
    /// the records alone.
    #[must_use]
    pub fn trust_future(mut self) -> Self {
        self.guard.max_future_skew = None;
        self
    }

    /// Records further than this after the newest of their partition flow but do not move the
    /// frontier. Unlike the wall clock's guard this depends on the records alone.
    #[must_use]
    pub fn max_jump(mut self, jump: Duration) -> Self {
        self.guard.max_jump = Some(Span::from(jump));
        self
    }

    /// What to do with a record that is further ahead than the guards allow.
    #[must_use]
    pub fn on_future(mut self, policy: OnFuture) -> Self {
        self.on_future = policy;
        self
    }

    /// How a record without a usable event time looks among the rejects; without this only its place
    /// is known there.
    #[must_use]
    pub fn rejected_as(mut self, payload: impl Fn(&D) -> Vec<u8> + 'static) -> Self {
        self.payload = Some(Rc::new(payload));
        self
    }

    /// What to do with a record that has no usable event time.
    #[must_use]
    pub fn on_missing(mut self, policy: OnMissing) -> Self {
        self.on_missing = policy;
        self
    }
}
