"""placeholder"""
def read_inputs(): return None
