/**
 * WGSL `struct Invocation` of builtins, an argument of `main`, and `place(invocation)`: the number of an invocation in
 * its workgroup. Where subgroups are used, the lanes of one are neighbours by it, whatever their local index.
 */
export const INVOCATION = {
  subgroups: `struct Invocation {
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) lanes: u32,
  @builtin(subgroup_invocation_id) lane: u32,
}
fn place(i: Invocation) -> u32 { return i.subgroup * i.lanes + i.lane; }`,
  plain: `struct Invocation { @builtin(local_invocation_index) index: u32 }
fn place(i: Invocation) -> u32 { return i.index; }`,
} as const;
