"""The web app: onnxruntime and Gradio, neither Ray nor Torch."""
