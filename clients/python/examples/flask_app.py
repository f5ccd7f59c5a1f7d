"""A Flask back end whose users earn points. Needs flask, and LAURELS_URL and LAURELS_KEY (an API key) set."""

import os

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from laurels_client import BlockingLaurels, Refused, Unsettled, User

app = Flask(__name__)
laurels = BlockingLaurels(os.environ["LAURELS_URL"], os.environ["LAURELS_KEY"], deadline=5)


@app.post("/lessons/<lesson>/finish")
def finish(lesson: str) -> ResponseReturnValue:
    """The identifier is made of our own data: a user who clicks twice, and a retry of ours, count once."""
    try:
        receipt = laurels.complete("lesson", lesson, user=User(username=request.headers["X-User"]))
    except Refused as no:
        return jsonify(error=no.code, detail=no.detail), 409
    except Unsettled:
        return jsonify(error="ask_again", detail="Your points are safe to ask for again."), 503
    return jsonify(earned=receipt.score_earned, score=receipt.new_score, rank=receipt.rank)
