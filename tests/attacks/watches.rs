//! A wait does not depend on what its watch says.
