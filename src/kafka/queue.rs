//! The batch queue: all partitions of a consumer in one private queue, read many at a time.
//!
//! The safe API of rdkafka hands out one event object per record, which costs as much as everything
//! else together. Here the queues of the assigned partitions are forwarded to one queue of our own,
//! and messages are taken from it by the thousand and decoded straight from librdkafka's buffers.
//!
//! The forwarding is set *before* `assign()`: librdkafka leaves a forwarding of the application
//! alone when it starts a partition, so no message ever slips into the consumer's main queue.
//! Stopping a partition takes its forwarding off, though, and from another thread: who assigns a
//! partition anew has to forward it again until something comes.
//! Logs, errors and statistics stay there, and `poll` serves them.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use tiderace_operators::time::EventTime;

use super::context::Context;
use crate::decode::Headers;
use crate::source::Waker;

/// The private queue of one consumer.
pub(crate) struct BatchQueue {
    queue: NonNull<rd::rd_kafka_queue_t>,
    buffer: Vec<*mut rd::rd_kafka_message_t>,
    /// Read by librdkafka's threads through a raw pointer until the callback is taken off.
    _waker: Box<Waker>,
    /// Keeps the client alive for as long as the queue is.
    consumer: Arc<BaseConsumer<Context>>,
}

// SAFETY: librdkafka's queues may be used from any thread, `buffer` holds no message between two
// calls, and every method that touches it needs `&mut self`.
unsafe impl Send for BatchQueue {}

/// A partition's own queue, kept while it is assigned so that librdkafka keeps the partition.
struct PartitionQueue(NonNull<rd::rd_kafka_queue_t>);

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `rd_kafka_queue_get_partition`, and this reference is
        // given back once.
        unsafe { rd::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

unsafe extern "C" fn wake(_: *mut rd::rd_kafka_t, waker: *mut c_void) {
    // SAFETY: the pointer is that of the boxed waker of a `BatchQueue`, which outlives the callback:
    // librdkafka calls it under the queue's lock, and the drop takes it off under the same lock.
    let waker = unsafe { &*waker.cast::<Waker>() };
    waker.wake();
}

impl BatchQueue {
    /// An empty queue on this consumer; `waker` is called when it becomes non-empty.
    pub(crate) fn new(consumer: Arc<BaseConsumer<Context>>, waker: Waker) -> Option<Self> {
        let waker = Box::new(waker);
        // SAFETY: the native pointer is valid while the consumer lives, which `self` sees to.
        let queue =
            NonNull::new(unsafe { rd::rd_kafka_queue_new(consumer.client().native_ptr()) })?;
        let opaque = ptr::from_ref::<Waker>(&waker).cast_mut().cast::<c_void>();
        // SAFETY: the queue is valid, and `opaque` points into a box that lives until after the
        // callback was taken off in `drop`.
        unsafe { rd::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(wake), opaque) };
        Some(BatchQueue { queue, buffer: Vec::new(), _waker: waker, consumer })
    }

    /// Has these partitions deliver here, while `assign` is called; false if librdkafka does not
    /// know one of them.
    pub(crate) fn forward<T>(
        &self,
        logs: &[(CString, i32)],
        assign: impl FnOnce() -> T,
    ) -> Option<T> {
        let mut kept = Vec::with_capacity(logs.len());
        for (topic, partition) in logs {
            // SAFETY: client and name are valid; a new reference to the queue is returned, or null.
            let own = unsafe {
                let client = self.consumer.client().native_ptr();
                rd::rd_kafka_queue_get_partition(client, topic.as_ptr(), *partition)
            };
            let own = PartitionQueue(NonNull::new(own)?);
            // SAFETY: both queues are valid and belong to the same client.
            unsafe { rd::rd_kafka_queue_forward(own.0.as_ptr(), self.queue.as_ptr()) };
            kept.push(own);
        }
        Some(assign())
    }

    /// Takes up to `limit` messages without waiting and shows each of them to `each`. Returns how
    /// many there were. After an error of `each` the rest of what was taken is dropped.
    pub(crate) fn take<E>(
        &mut self,
        limit: usize,
        mut each: impl FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        self.buffer.resize(limit, ptr::null_mut());
        // SAFETY: the buffer has room for `limit` pointers.
        let count = unsafe {
            let buffer = self.buffer.as_mut_ptr();
            rd::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, buffer, limit)
        };
        let count = usize::try_from(count).unwrap_or(0);
        // Gives every message back, also when `each` fails or panics.
        let owned = Owned(&self.buffer[..count]);
        for message in owned.0 {
            // SAFETY: librdkafka filled in `count` valid messages, which `owned` gives back only
            // after this loop; the reference ends with the call.
            each(Taken(unsafe { &**message }))?;
        }
        Ok(count)
    }

    /// The first and the next offset of a partition as the client knows them, without asking the
    /// broker; `None` before the first answer.
    pub(crate) fn watermarks(&self, topic: &CStr, partition: i32) -> Option<(i64, i64)> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: client and name are valid, and both numbers outlive the call.
        let error = unsafe {
            let client = self.consumer.client().native_ptr();
            rd::rd_kafka_get_watermark_offsets(
                client,
                topic.as_ptr(),
                partition,
                &mut low,
                &mut high,
            )
        };
        let known = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0;
        known.then_some((low, high))
    }

    /// Sends a commit of these offsets. Its result comes to the context through `poll`.
    ///
    /// rdkafka's own asynchronous commit asks for no answer, so that a failure would be nothing but
    /// a line in the log.
    pub(crate) fn commit(&self, offsets: &TopicPartitionList) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: client and list are valid during the call, which copies the list; the reference
        // to the consumer's queue is given back after it.
        let error = unsafe {
            let client = self.consumer.client().native_ptr();
            let answers = rd::rd_kafka_queue_get_consumer(client);
            let error =
                rd::rd_kafka_commit_queue(client, offsets.ptr(), answers, None, ptr::null_mut());
            if !answers.is_null() {
                rd::rd_kafka_queue_destroy(answers);
            }
            error
        };
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => Err(error.into()),
        }
    }

    /// The consumer it belongs to.
    pub(crate) fn consumer(&self) -> &Arc<BaseConsumer<Context>> {
        &self.consumer
    }
}

impl Drop for BatchQueue {
    fn drop(&mut self) {
        // SAFETY: the queue is valid; after the first call the callback is not called any more, and
        // the second one gives our reference back, before the client and the waker are dropped.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

struct Owned<'a>(&'a [*mut rd::rd_kafka_message_t]);

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        for message in self.0 {
            // SAFETY: each message was handed to us by librdkafka and is given back once.
            unsafe { rd::rd_kafka_message_destroy(*message) };
        }
    }
}

/// A message, or an event about a partition, in librdkafka's buffer.
#[derive(Clone, Copy)]
pub(crate) struct Taken<'a>(&'a rd::rd_kafka_message_t);

impl<'a> Taken<'a> {
    /// What identifies the topic while the message lives; compare it before looking the name up.
    pub(crate) fn topic_id(self) -> usize {
        self.0.rkt as usize
    }

    /// The name of the topic.
    pub(crate) fn topic(self) -> &'a [u8] {
        if self.0.rkt.is_null() {
            return b"";
        }
        // SAFETY: the message holds a reference to its topic, which owns the name.
        unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.0.rkt)) }.to_bytes()
    }

    /// The partition within the topic.
    pub(crate) fn partition(self) -> i32 {
        self.0.partition
    }

    /// Its offset; at the end of a partition, the end.
    pub(crate) fn offset(self) -> i64 {
        self.0.offset
    }

    /// The error that it stands for instead of a record.
    pub(crate) fn error(self) -> Option<RDKafkaErrorCode> {
        let none = self.0.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
        (!none).then(|| self.0.err.into())
    }

    /// librdkafka's words for the error.
    pub(crate) fn error_text(self) -> String {
        // SAFETY: the message is valid; the text belongs to it or is static.
        let text = unsafe { rd::rd_kafka_message_errstr(self.0) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: a string that ends in zero, valid while the message is.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }

    /// The payload; `None` is a tombstone.
    pub(crate) fn payload(self) -> Option<&'a [u8]> {
        // SAFETY: pointer and length describe the message's payload.
        unsafe { bytes(self.0.payload, self.0.len) }
    }

    /// The key.
    pub(crate) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: pointer and length describe the message's key.
        unsafe { bytes(self.0.key, self.0.key_len) }
    }

    /// The timestamp of the message, by producer or broker.
    pub(crate) fn timestamp(self) -> Option<EventTime> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, and `kind` outlives the call.
        let millis = unsafe { rd::rd_kafka_message_timestamp(self.0, &mut kind) };
        let known = kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        (known && millis != -1).then(|| EventTime::from_millis(millis))
    }
}

impl Headers for Taken<'_> {
    fn for_each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is valid; the list of headers stays its own.
        let error = unsafe { rd::rd_kafka_message_headers(self.0, &mut headers) };
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the list is valid, and librdkafka refuses an index beyond its end.
            let error = unsafe {
                rd::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size)
            };
            if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            // SAFETY: the name ends in zero; pointer and size describe the value.
            let (name, value) =
                unsafe { (CStr::from_ptr(name).to_string_lossy(), bytes(value, size)) };
            visit(&name, value);
        }
    }
}

/// A slice from a pointer that may be null, which stands for no value at all.
///
/// # Safety
/// A pointer that is not null must be valid for `len` bytes during `'a`.
unsafe fn bytes<'a>(pointer: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: by the caller's promise.
    (!pointer.is_null()).then(|| unsafe { std::slice::from_raw_parts(pointer.cast(), len) })
}
