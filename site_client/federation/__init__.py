"""A site's part in a federation; nothing here but `client_app` imports Flower."""
