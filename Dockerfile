# Base images are pinned by the digest of their multi-platform index; the tag says which release that was.
FROM --platform=$BUILDPLATFORM golang:1.26.8@sha256:0f063af2d465d8dcae54cce04278ada488b96f77b42449c8d071e47d016cc65a AS build
WORKDIR /src
ENV CGO_ENABLED=0
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/ ./cmd/riskscorer ./cmd/riskctl

FROM gcr.io/distroless/static-debian13:nonroot@sha256:e2e927ec666bae08560abb3c55d0659eceabb657f56b6782ab500a9fc7f555e3
COPY --from=build /out/riskscorer /out/riskctl /
# The demo bundle. A volume on /models brings another one, and MODEL_PATH then names it.
COPY models/ /models/
ENV MODEL_PATH=/models/trendbuy_xgb_v1.0.0
USER 65532:65532
# Scoring and metrics. The admin listener stays on loopback.
EXPOSE 8000 9090
# There is no shell and no curl in the image: the binary asks its own health route.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/riskscorer", "healthcheck"]
ENTRYPOINT ["/riskscorer"]
