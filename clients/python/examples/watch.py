"""A board in a terminal: python watch.py http://127.0.0.1:8000 points"""

import asyncio
import sys

from laurels_client import Laurels


async def main(url: str, board: str) -> None:
    async with Laurels(url) as laurels:
        async for shown in laurels.live(board):
            print(f"\n{shown.name}, {shown.total_users} people, {shown.as_of:%H:%M:%S}")
            for row in shown.rows:
                print(f"{row.rank:>4}  {row.username:<32} {row.score:>12,}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
