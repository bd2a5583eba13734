//! Defects that are built in on purpose, to see that the simulator finds each of them.
//!
//! Only with the feature `planted-bugs`, one per engine, chosen by a field of its options; without
//! the feature every `planted!` is `false`. Never for anything else.

/// Whether the engine of these options has this defect.
#[cfg(feature = "planted-bugs")]
macro_rules! planted {
    ($options:expr, $bug:ident) => {
        $options.planted == Some($crate::planted::Planted::$bug)
    };
}

/// No engine has a defect on purpose.
#[cfg(not(feature = "planted-bugs"))]
macro_rules! planted {
    ($options:expr, $bug:ident) => {
        false
    };
}

/// Declares the defects and the list of all.
#[cfg(feature = "planted-bugs")]
macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// A defect that is built in on purpose.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Planted {
            $($(#[$doc])* $name,)*
        }

        impl Planted {
            /// All of them.
            pub const ALL: &'static [Planted] = &[$(Planted::$name,)*];
        }
    };
}

#[cfg(feature = "planted-bugs")]
bugs! {
    /// A post does not wake the sleeping event loop.
    LostWakeup;
    /// A channel that stops reading forgets that its socket was readable.
    ForgottenReadiness;
    /// Messages returning to an empty pool resume nobody.
    ForgottenRoom;
    /// A message that was not sent comes back twice.
    ReturnedTwice;
    /// A channel's last word comes before the messages that come back.
    LastWordTooEarly;
    /// A number is given out again at once.
    NumberReusedEarly;
    /// A channel that ends keeps its part of the send budget.
    BudgetLeak;
    /// What lay in the inbox of a destroyed group stays counted as in use.
    PoolLeak;
    /// In a crossing of ByeRequests the first ByeResponse ends the channel.
    CrossingByeEndsEarly;
    /// The announced end of the peer's direction is acted on before the data in front of it.
    TailDropped;
    /// A cut write goes on with the wrong part.
    WrongOrderAfterCut;
    /// The connect timeout runs on when the connection is made.
    TimerNotStopped;
    /// A token of a slot's earlier life is taken for that of its present one.
    StaleToken;
    /// The inbox's limit does not stop reading.
    InboxLimitIgnored;
    /// Nobody is told that a send queue has room again.
    RoomNotTold;
    /// Large messages are left out of the close information.
    LargeNotCounted;
    /// A failed accept is not tried again.
    AcceptNotRetried;
    /// Who was posted to in the middle of a turn is forgotten.
    MidwayPostForgotten;
    /// The linger is left out: what still comes from the peer costs it our tail.
    NoLinger;
}
