"""How decoded frames become pictures: their colours, which way up they are."""
