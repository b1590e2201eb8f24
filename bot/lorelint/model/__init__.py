"""What flows through lorelint: frozen values, the ports, and the base error.

Standard library only, and no other package of ours. A value here never knows how it was made.
"""
