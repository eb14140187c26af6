//! Entries of maps.

use core::ops::{Deref, DerefMut};

use aya_ebpf::maps::{HashMap, PerCpuArray, PerCpuHashMap};

/// An entry of a map. It is there as long as the program runs, also if it is taken out of its map meanwhile.
pub struct Entry<T>(*mut T);

impl<T> Clone for Entry<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entry<T> {}

impl<T> Deref for Entry<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: a map gave the pointer. Its values are numbers: whatever other CPUs write is valid.
        unsafe { &*self.0 }
    }
}

impl<T> DerefMut for Entry<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0 }
    }
}

/// Maps of entries; of one for each CPU, this CPU's.
pub trait Entries<K, T> {
    /// The entry of a key.
    fn entry(&self, key: &K) -> Option<Entry<T>>;
}

impl<K, T> Entries<K, T> for HashMap<K, T> {
    #[inline(always)]
    fn entry(&self, key: &K) -> Option<Entry<T>> {
        self.get_ptr_mut(key).map(Entry)
    }
}

impl<K, T> Entries<K, T> for PerCpuHashMap<K, T> {
    #[inline(always)]
    fn entry(&self, key: &K) -> Option<Entry<T>> {
        self.get_ptr_mut(key).map(Entry)
    }
}

impl<T> Entries<u32, T> for PerCpuArray<T> {
    #[inline(always)]
    fn entry(&self, key: &u32) -> Option<Entry<T>> {
        self.get_ptr_mut(*key).map(Entry)
    }
}
