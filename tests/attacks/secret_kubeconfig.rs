//! A kubeconfig in a Secret is somebody else's text: it starts no program and reads no file here.
