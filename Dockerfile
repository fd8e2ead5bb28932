# Two stages: a Go toolchain builds one static binary, a distroless image runs it as a user without rights.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /foresail ./cmd/foresail

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /foresail /foresail
USER 65532:65532
EXPOSE 6443 8080
ENTRYPOINT ["/foresail"]
CMD ["serve", "--config=/etc/foresail/config.yaml", "--secure-port=6443"]
