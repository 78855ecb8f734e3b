from ctxext.cli import main

raise SystemExit(main())
