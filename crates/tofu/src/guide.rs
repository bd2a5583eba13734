//! The guide, chapter by chapter: from a first server to production.
//!
//! 1. [Thinking in messages](thinking)
//! 2. [A first server](first_server)
//! 3. [A first client](first_client)
//! 4. [Who is speaking](incoming)
//! 5. [Patterns](patterns): questions and answers, streams, publishing, queues, connecting again
//! 6. [Errors and statuses](errors)
//! 7. [Closing](closing)
//! 8. [Back-pressure](back_pressure)
//! 9. [Threads and tasks](threads)
//! 10. [Limits](limits)
//! 11. [The command line tool](command_line)
//! 12. [Testing](testing)
//! 13. [Performance](performance)
//! 14. [Coming from something else](coming_from): raw sockets, ZeroMQ, nng, gRPC
//! 15. [Questions and answers](questions)
//!
//! The same chapters are a book, which `cargo xtask book` builds. All examples are compiled and run.

// A chapter refers to others, and to pictures, by reference links. In the book these lead to files; here
// the definitions in front of each chapter come first, and so they lead to modules.

/// Declares a chapter: its module, its file, the chapters that it may refer to, and the names in it.
macro_rules! chapters {
    ($($(#[$names:meta])* $module:ident = $file:literal;)*) => {
        $(
            /// [first-client]: crate::guide::first_client
            /// [patterns]: crate::guide::patterns
            /// [errors]: crate::guide::errors
            /// [closing]: crate::guide::closing
            /// [back-pressure]: crate::guide::back_pressure
            /// [threads]: crate::guide::threads
            /// [limits]: crate::guide::limits
            /// [command-line]: crate::guide::command_line
            /// [performance]: crate::guide::performance
            /// [where-time]: crate::architecture#where-the-time-goes
            /// [kept-true]: crate::architecture#how-it-is-kept-true
            #[doc = include_str!("../docs/pictures/inline.md")]
            #[doc = include_str!(concat!("../docs/", $file))]
            ///
            $(#[$names])*
            pub mod $module {}
        )*
    };
}

chapters! {
    /// Names: [`Ampe`](crate::prelude::Ampe), [`ChannelGroup`](crate::prelude::ChannelGroup),
    /// [`Message`](crate::prelude::Message), [`OpCode`](crate::prelude::OpCode),
    /// [`Reactor`](crate::prelude::Reactor).
    thinking = "thinking.md";

    /// Names: [`Address`](crate::prelude::Address), [`Endpoint`](crate::prelude::Endpoint),
    /// [`Incoming`](crate::prelude::Incoming), [`make_reply`](crate::prelude::Message::make_reply),
    /// [`peer`](crate::prelude::Msg::peer), [`uds_mode`](crate::prelude::Options::uds_mode).
    first_server = "first_server.md";

    /// Names: [`post`](crate::prelude::ChannelGroup::post),
    /// [`wait_receive`](crate::prelude::ChannelGroup::wait_receive).
    first_client = "first_client.md";

    /// Names: [`Incoming`](crate::prelude::Incoming), [`Notice`](crate::prelude::Notice),
    /// [`Origin`](crate::prelude::Origin).
    incoming = "incoming.md";

    /// Names: [`Calls`](crate::helpers::Calls), [`Chunks`](crate::helpers::Chunks),
    /// [`ChunkWriter`](crate::helpers::ChunkWriter), [`Reassembler`](crate::helpers::Reassembler),
    /// [`StreamReader`](crate::helpers::StreamReader), [`Host`](crate::helpers::Host),
    /// [`Service`](crate::helpers::Service), [`Heartbeat`](crate::helpers::Heartbeat),
    /// [`Connector`](crate::helpers::Connector), and the module [`helpers`](crate::helpers).
    patterns = "patterns.md";

    /// Names: [`PostError`](crate::prelude::PostError),
    /// [`PostErrorKind`](crate::prelude::PostErrorKind), [`Status`](crate::prelude::Status),
    /// [`Msg::cause`](crate::prelude::Msg::cause), [`Cause`](crate::chnls::Cause).
    errors = "errors.md";

    /// Names: [`CloseInfo`](crate::chnls::CloseInfo),
    /// [`destroy`](crate::prelude::ChannelGroup::destroy),
    /// [`shutdown`](crate::prelude::Reactor::shutdown).
    closing = "closing.md";

    /// Names: [`post_timeout`](crate::prelude::ChannelGroup::post_timeout),
    /// [`Notice::SendQueueReady`](crate::prelude::Notice::SendQueueReady),
    /// [`Chunks::post_ready`](crate::helpers::Chunks::post_ready).
    back_pressure = "back_pressure.md";

    /// Names: [`Poster`](crate::prelude::Poster), [`Caller`](crate::helpers::Caller),
    /// [`update_receiver`](crate::prelude::ChannelGroup::update_receiver).
    threads = "threads.md";

    /// Names: [`Options`](crate::prelude::Options), [`StreamLimits`](crate::helpers::StreamLimits),
    /// [`ConnectorOptions`](crate::helpers::ConnectorOptions).
    limits = "limits.md";

    command_line = "command_line.md";

    testing = "testing.md";

    /// Names: [`IdleStrategy`](crate::prelude::IdleStrategy).
    performance = "performance.md";

    coming_from = "coming_from.md";

    questions = "questions.md";
}
