"""Where claims come from. Each source hands over the columns of a contract as they were written, nothing parsed yet."""
