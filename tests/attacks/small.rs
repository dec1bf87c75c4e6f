//! Quoting, passwords in addresses, namespaces of the system, files of the user.
