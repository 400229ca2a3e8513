define internal void @advise(ptr %block, i64 %size) nounwind {
  ret void
}
