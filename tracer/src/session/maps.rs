//! The maps of a session: opened by name, and emptied.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use aya::maps::{HashMap, Map, MapError};

use super::{
    Session, batch,
    error::{SessionError, map_error},
};

impl Session {
    /// Empties a map: many entries at once if it is well filled, else one by one.
    pub(super) fn take_all<K: aya::Pod, V: aya::Pod>(
        &mut self,
        name: &'static str,
    ) -> Result<Vec<(K, V)>, SessionError> {
        let mut map = self.map::<HashMap<_, K, V>>(name)?;
        let keys: Vec<K> = map.keys().flatten().collect();
        if keys.len() >= batch::FEWEST {
            let Some(Map::HashMap(map)) = self.object.map(name) else {
                return Err(map_error(name, "not in the object"));
            };
            // SAFETY: aya compared both lengths with the map's.
            let all = unsafe { batch::take(map.fd().as_fd()) };
            return all.map_err(|error| map_error(name, error));
        }
        let mut taken = Vec::with_capacity(keys.len());
        for key in keys {
            // A key can come twice if others are added meanwhile.
            let Ok(value) = map.get(&key, 0) else { continue };
            taken.push((key, value));
            map.remove(&key).map_err(|error| map_error(name, error))?;
        }
        Ok(taken)
    }

    /// Empties a map of processes or sockets, each of which may have ended by now.
    pub(super) fn clear<K: aya::Pod, V: aya::Pod>(
        &mut self,
        name: &'static str,
    ) -> Result<(), SessionError> {
        let mut map = self.map::<HashMap<_, K, V>>(name)?;
        let keys: Vec<K> = map.keys().flatten().collect();
        for key in keys {
            match map.remove(&key) {
                // A process that ends removes its entry itself.
                Err(error) if is_gone(&error) => {}
                removed => removed.map_err(|error| map_error(name, error))?,
            }
        }
        Ok(())
    }

    /// A map, to be read and written.
    pub(super) fn map<'a, M>(&'a mut self, name: &'static str) -> Result<M, SessionError>
    where
        M: TryFrom<&'a mut Map, Error = MapError>,
    {
        let map = self.object.map_mut(name).ok_or_else(|| map_error(name, "not in the object"))?;
        M::try_from(map).map_err(|error| map_error(name, error))
    }

    /// A loaded program.
    pub(super) fn program(&self, name: &str) -> Result<BorrowedFd<'_>, SessionError> {
        self.object.program(name).ok_or_else(|| SessionError::Program {
            program: name.to_owned(),
            error: "it was not loaded".into(),
        })
    }
}

/// Whether an entry was taken out of its map before.
pub(super) fn is_gone(error: &MapError) -> bool {
    matches!(error, MapError::SyscallError(error) if error.io_error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;

    use super::*;

    #[test]
    fn an_entry_that_is_gone_is_no_failure() {
        let failed = |number| {
            let io_error = io::Error::from_raw_os_error(number);
            MapError::SyscallError(SyscallError { call: "bpf_map_delete_elem", io_error })
        };
        assert!(is_gone(&failed(libc::ENOENT)));
        assert!(!is_gone(&failed(libc::EPERM)));
    }
}
