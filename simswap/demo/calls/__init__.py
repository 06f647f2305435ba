"""What a call of the page or an endpoint passes on its way in and out."""
