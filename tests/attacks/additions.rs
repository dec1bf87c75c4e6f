//! Fields that somebody added to our objects are seen, named and taken out again.
