; Ask for huge pages where a block is large, as NumPy does.
declare i32 @madvise(ptr, i64, i32)

define internal void @advise(ptr %block, i64 %size) nounwind {
entry:
  %large = icmp uge i64 %size, 4194304
  br i1 %large, label %ask, label %done
ask:
  %number = ptrtoint ptr %block to i64
  %up = add i64 %number, 4095
  %page = and i64 %up, -4096
  %first = inttoptr i64 %page to ptr
  %skipped = sub i64 %page, %number
  %length = sub i64 %size, %skipped
  %answer = call i32 @madvise(ptr %first, i64 %length, i32 14)
  br label %done
done:
  ret void
}
