//! The sending end of a channel.

use std::sync::{Arc, PoisonError};

use super::{NotSent, Refusal, Shared};
use crate::source::{Offset, Partition, Waker};

/// The sending end: clone it for every thread that sends.
pub struct ChannelSender<D>(pub(super) Arc<Shared<D>>);

impl<D> ChannelSender<D> {
    /// Sends into partition 0; waits while the channel is full.
    pub fn send(&self, record: D) -> Result<(), NotSent<D>> {
        self.send_to(0, record)
    }

    /// Sends into a partition; waits while the channel is full.
    pub fn send_to(&self, partition: Partition, record: D) -> Result<(), NotSent<D>> {
        let mut state = self.0.lock();
        loop {
            if let Some(why) = state.refusal(partition) {
                return Err(NotSent { record, why });
            }
            if state.waiting < self.0.capacity {
                break;
            }
            state = self.0.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let sleeper = state.put(partition, record);
        drop(state);
        if let Some(waker) = sleeper {
            waker.wake();
        }
        Ok(())
    }

    /// Sends into partition 0 if there is room.
    pub fn try_send(&self, record: D) -> Result<(), NotSent<D>> {
        self.try_send_to(0, record)
    }

    /// Sends into a partition if there is room.
    pub fn try_send_to(&self, partition: Partition, record: D) -> Result<(), NotSent<D>> {
        let mut state = self.0.lock();
        if let Some(why) = state.refusal(partition) {
            return Err(NotSent { record, why });
        }
        if state.waiting >= self.0.capacity {
            return Err(NotSent { record, why: Refusal::Full });
        }
        let sleeper = state.put(partition, record);
        drop(state);
        if let Some(waker) = sleeper {
            waker.wake();
        }
        Ok(())
    }

    /// Ends the input for all senders. What was sent before is still read.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let wakers = state.wakers();
        drop(state);
        self.0.room.notify_all();
        wakers.iter().for_each(Waker::wake);
    }

    /// How many records wait to be read.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting
    }

    /// Everything before this offset of the partition has left through a sink; zero if nothing
    /// has, or if there is no such partition.
    pub fn committed(&self, partition: Partition) -> Offset {
        self.0.lock().committed.get(partition as usize).copied().unwrap_or(0)
    }
}

impl<D> Clone for ChannelSender<D> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        ChannelSender(self.0.clone())
    }
}

impl<D> Drop for ChannelSender<D> {
    fn drop(&mut self) {
        let last = {
            let mut state = self.0.lock();
            state.senders -= 1;
            state.senders == 0
        };
        if last {
            self.close();
        }
    }
}
