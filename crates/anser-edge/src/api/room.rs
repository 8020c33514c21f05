//! Rooms of live clients.

use anser_core::resource::RoomSpec;
use anser_gateway::admin::RoomView;

use super::kind::{self, Calls, Kind};
use super::resource::Revised;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    kind::routes::<Rooms>()
}

impl Revised for RoomView {
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// Rooms, to the six calls that every kind has.
struct Rooms;

impl Kind for Rooms {
    type Spec = RoomSpec;
    type View = RoomView;

    const ALL: &'static str = "/v1/rooms";
    const ONE: &'static str = "/v1/rooms/{room}";
    const NAME: &'static str = "room";
    const CALLS: Calls = Calls {
        list: ("listRooms", "List rooms"),
        create: ("createRoom", "Create a room"),
        show: ("getRoom", "Show a room"),
        replace: ("putRoom", "Create or replace a room"),
        change: ("patchRoom", "Change a room"),
        delete: ("deleteRoom", "Delete a room"),
    };

    kind::served_by!(list_rooms, get_room, create_room, put_room, patch_room, delete_room cascade);

    fn name(view: &RoomView) -> &str {
        &view.name
    }
}
