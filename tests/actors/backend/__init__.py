"""The backend of a ChatGPT login, against a stand-in of ours."""
