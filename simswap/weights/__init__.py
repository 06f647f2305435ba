"""Model folders, and weights of others that become one."""
