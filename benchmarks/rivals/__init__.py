"""What people write by hand today, each as good as it usually is: what the product is compared with."""
