//! The format as publishers meet it.
