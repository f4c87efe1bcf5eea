"""Checks that Triton's interpreter runs on the CPU; `test_fused.py` starts them with TRITON_INTERPRET=1."""
