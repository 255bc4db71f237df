"""The roof: builds everything once and passes it down."""
