"""The sandbox: an Argo CD, its clusters and a Git remote on loopback, as real as can be without a kubelet. The product never imports it."""
