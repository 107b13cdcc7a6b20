"""Trains TrendBuy's regret model and exports it as a riskscorer bundle."""
