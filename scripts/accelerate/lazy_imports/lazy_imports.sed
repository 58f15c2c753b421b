# Deno loads each module that a literal import() names before it runs the first one, so that every mode would load all
# the others. It cannot foresee a name that is put together.
s/\bimport\("(\.\/[^"]*)"\)/import("".concat("\1"))/g
