"""The BitBake side: variables of a recipe in, an OCI image or index out.

Only this package knows the names of BitBake variables. The classes call `image` and `index`; both need BitBake's own
package `bb`, so nothing here is imported by the rest of `image_oci_rs`.
"""
