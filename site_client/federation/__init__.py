"""A site's part in a federation; nothing here but `client_app` and `whole_messages` imports Flower."""
